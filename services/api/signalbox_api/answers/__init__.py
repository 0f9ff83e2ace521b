"""HTTP answers: what the api says of a command, and the bodies that it takes and gives."""
