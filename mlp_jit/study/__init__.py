"""For the person who came to understand index-form backprop: every z_j, a_j and δ_j in sight."""
