"""Proof obligations and the engines that decide them."""
