"""The controller's own socket: commands of an operator on the host itself, when the bus or the api is away."""
