"""The paths of the API: submissions in `certify`, all others in one module per tag of the document."""
