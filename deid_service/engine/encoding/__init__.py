"""How elements stand in the bytes: headers, tags, character sets, the dictionary, values."""
