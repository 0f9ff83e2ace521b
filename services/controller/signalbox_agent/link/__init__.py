"""The connection to the controller, and the loop that the agent's own work runs on."""
