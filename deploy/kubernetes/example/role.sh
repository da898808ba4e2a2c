# Runs once, when the volume is new. Who owns the tables is no superuser, and nobody connects as it.
psql --set ON_ERROR_STOP=1 --username postgres <<'END'
  CREATE ROLE deidcascade NOLOGIN;
  CREATE DATABASE deidcascade OWNER deidcascade;
END
