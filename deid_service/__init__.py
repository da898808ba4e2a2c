"""De-identifies DICOM streams by the profile that the cascade selects."""
