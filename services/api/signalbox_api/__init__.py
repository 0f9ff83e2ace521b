"""The api: REST, the live websocket, sign-in and the dashboard. Reads the record, publishes commands, nothing more."""
