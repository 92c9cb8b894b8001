"""The settings' page about notifications: channels, their forms, what was sent.
May import: nothing."""
