"""The controller's own socket: what an operator on the host itself can ask when the bus or the api is away."""
