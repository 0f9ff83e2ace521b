"""What people and services ask of this host: read, checked, carried out once, answered."""
