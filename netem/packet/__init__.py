"""Links made of real packets: every device in a network namespace of its own, the kernel's TCP at
both ends, and between them a process that holds packets back as the device's link would.

Linux only. Knows bytes, seconds and namespaces; nothing of learning or of who uses a connection.
"""
