"""What both ends of a stream share: messages, reasons, and how errors travel."""
