"""The commands: one file for each verb or noun."""
