"""What the long tests of the whole hub are made of: two set-ups, senders, agents, a vendor, and an audit."""
