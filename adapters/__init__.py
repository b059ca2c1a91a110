"""The built-in adapters: pure functions for what a vendor's document cannot express. They open no socket."""
