"""The search with torch, on any device, in fp32 or bf16."""
