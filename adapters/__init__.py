"""The built-in adapters: what a vendor's document cannot say, as pure functions. They open no socket."""
