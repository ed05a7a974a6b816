"""What goes over the wire, where several servers share it."""
