"""Systems that are measured, and what they cost the machine."""
