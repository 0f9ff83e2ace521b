"""Agentless workers: a process in the environment of their application watches them, and is supervised here."""
