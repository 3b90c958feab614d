"""Code shared by the commands: flags, loading, tables, measurements."""
