# RabbitMQ of a city: accounts with the least rights, policies and limits. `city-registry init` writes this file.
# For a POSIX shell (`. ./rabbitmq-setup.sh`), as the broker's administrator. Passwords are read from standard input.
# Before it, in rabbitmq.conf (no message of ours is longer):
#   max_message_size = 4194304
#   channel_max = 64

VHOST=/         # virtual host that the city uses alone
GATEWAYS=100    # number of gateways at most

# The registry's account. It makes the exchanges and queues itself (`city-registry check` does, too).
# rights: all of ours, and queues of its own for `check`
registry_account() {
    rabbitmqctl add_user "$1"
    rabbitmqctl set_permissions -p "$VHOST" "$1" '^(clinic\.|amq\.gen-)' '^(clinic\.|amq\.gen-)' '^(clinic\.|amq\.gen-)'
}

# A gateway's account. It may publish to one exchange and read one queue, made here for it; nothing else.
# In its [queue.amqp]: declare = false, receipts_queue = "clinic.receipts.NAME"
gateway_account() {
    rabbitmqctl add_user "$1"
    definitions=$(mktemp)
    cat > "$definitions" <<END
{"exchanges": [{"vhost": "$VHOST", "name": "clinic.receipts", "type": "fanout", "durable": true,
  "auto_delete": false, "internal": false, "arguments": {}}],
 "queues": [{"vhost": "$VHOST", "name": "clinic.receipts.$1", "durable": true, "auto_delete": false,
  "arguments": {"x-queue-type": "classic"}}],
 "bindings": [{"vhost": "$VHOST", "source": "clinic.receipts", "destination": "clinic.receipts.$1",
  "destination_type": "queue", "routing_key": "", "arguments": {}}]}
END
    rabbitmqctl import_definitions "$definitions"
    rm "$definitions"
    rabbitmqctl set_permissions -p "$VHOST" "$1" '^$' '^clinic\.facts$' "^clinic\\.receipts\\.$1\$"
    rabbitmqctl set_user_limits "$1" '{"max-connections": 8, "max-channels": 64}'
}

# Takes a gateway's account away, with its queue.
remove_gateway_account() {
    rabbitmqctl delete_user "$1"
    rabbitmqctl delete_queue -p "$VHOST" "clinic.receipts.$1"
}

# Lengths and ages: receipts for 48 hours; queues that the broker has named do not outlive their readers.
city_policies() {
    rabbitmqctl set_policy -p "$VHOST" --apply-to queues clinic-receipts '^clinic\.receipts\.' \
        '{"message-ttl": 172800000, "max-length-bytes": 67108864}'
    rabbitmqctl set_policy -p "$VHOST" --apply-to queues clinic-left-over '^amq\.gen-' \
        '{"expires": 60000, "message-ttl": 3600000, "max-length-bytes": 67108864}'
    # The registry makes its queues with the same limits; lower ones may be set here. On RabbitMQ 4 add
    # "delivery-limit": -1 to the second, which then keeps a dead letter however often it is looked at.
    rabbitmqctl set_policy -p "$VHOST" --apply-to queues clinic-intake '^clinic\.facts\.intake$' \
        '{"max-length-bytes": 4294967296}'
    rabbitmqctl set_policy -p "$VHOST" --apply-to queues clinic-dead '^clinic\.facts\.dead$' \
        '{"max-length": 10000, "max-length-bytes": 536870912}'
    rabbitmqctl set_vhost_limits -p "$VHOST" \
        "{\"max-queues\": $((GATEWAYS * 2 + 10)), \"max-connections\": $((GATEWAYS * 8 + 50))}"
}

# city_policies
# registry_account city-registry
# gateway_account gateway-1
