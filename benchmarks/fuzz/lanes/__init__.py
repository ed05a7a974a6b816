"""How inputs are sent: each lane takes some at a time and gives as many answers.

===========  ==============================================================
``answer``   what came back, or that nothing did; what a lane is
``http``     several connections at once, each kept as long as it is good
``rpc``      gRPC, many calls at once
``parsing``  our parsers in a process of their own, one input after another
===========  ==============================================================
"""
