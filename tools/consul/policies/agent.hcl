# What the Consul agent of the node __NAME__ needs for itself, as its `agent` token. Services register with tokens of their own.

# Keeps its node in the catalog, with address and health.
node "__NAME__" { policy = "write" }

# Compares the catalog's entries of its services with its own, whoever's they are.
service_prefix "" { policy = "read" }
