"""What the families that run models on this machine share. Open `loading.py` first."""
