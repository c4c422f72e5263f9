"""What happens by itself, as the policy's `automations` say."""
