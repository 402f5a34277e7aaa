"""Facts: what the documents say, as records that dialogues and questions are worded from. One file per family of kinds.

How a kind is added:

1. Write `tasks/synthesis/facts/FAMILY.py` with a pure function `facts(document, corpus)` that yields
   `corpus.fact(document, kind, subject, values, …)` in a fixed order, and `FAMILY = Family("FAMILY", facts)`.
   It is called once for every document of a side; `corpus` knows that side only, so a fact cannot cross the split.
2. What it must know of *other* documents it gathers: `Family("FAMILY", facts, gather)`. `gather(document)` runs in the
   one pass that builds the index, and gives something small or None; `corpus.gathered("FAMILY")` has the pairs of
   document id and result. `corpus.once(function)` remembers what a function makes of the corpus (an inverse graph).
3. Add the family to `FAMILIES` in `step.py`.
4. Give every kind its wordings in `tasks/synthesis/wordings/FAMILY.py` and add them to `wordings/__init__.py`:
   at least fourteen questions and several answers (`wordings/grammar.py` has the slots). A test counts them.
5. A name that several definitions have is asked with `scope=corpus.scope(document, name)`. A subject that is not
   certain is no fact: leave it out.
6. Test it with a small real file, and from the other side in `tests/synthesis/verifier.py`.
"""
