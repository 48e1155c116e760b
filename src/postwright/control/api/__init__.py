"""`/api/v1`: one module per subject, each with its routes. What they may is `opt={"scope": ...}` of each; a test reads them all."""
