"""An MCP server: agents cut pictures out on this machine, inside folders they were given."""
