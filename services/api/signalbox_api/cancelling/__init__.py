"""Cancel requests: publish the command, wait for its receipts, answer."""
