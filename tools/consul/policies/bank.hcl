# What the bank __NAME__ may do at Consul. `npm run consul:bootstrap` puts the name in.

# Its own entry in the registry: register, signs of life, deregister. Its own certificate and key (/v1/agent/connect/ca/leaf). Whether a caller may call
# it (/v1/agent/connect/authorize; reading intentions is part of this right). No other bank's, and no gateway's, whose entries carry keys.
service "strife-bank-__NAME__" { policy = "write" }

# Finds the gateways, to ask what was decided. A bank has nothing to ask another bank.
service_prefix "strife-gateway-" { policy = "read" }

# /v1/health/service/:name leaves out services on nodes that the token may not read, and any node may have some.
node_prefix "" { policy = "read" }

# Needs no right: /v1/status/leader, and the roots (/v1/agent/connect/ca/roots), which are public.
