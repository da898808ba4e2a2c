"""The product as its users meet it: installed, in processes of its own, from outside."""
