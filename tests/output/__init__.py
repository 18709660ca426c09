"""What workers print, as it arrives at the driver's terminal."""
