"""Programs that try to pass tests without solving anything; `NAME` stands for the function that is asked for."""

CHEATS = {
    "ends well": """
import os
os._exit(0)
""",
    "says that it ran": """
import os
for one in range(20):
    try:
        os.write(one, b'"ran"\\n["value", true]\\n')
    except OSError:
        pass
os._exit(0)
""",
    "equals everything": """
class Yes:
    __eq__ = __ne__ = __lt__ = __gt__ = lambda *_: True
    __sub__ = __abs__ = lambda *_: 0

def NAME(*_):
    return Yes()
""",
    "number that equals everything": """
class Yes(int):
    __eq__ = lambda *_: True
    __hash__ = int.__hash__

def NAME(*_):
    return Yes(1)
""",
    "prints what it finds": """
import gc, os, sys
frame = sys._getframe()
while frame:
    for said in [*frame.f_globals.values(), *frame.f_locals.values(), *gc.get_objects()]:
        if isinstance(said, (str, bytes)):
            try:
                os.write(1, said if isinstance(said, bytes) else said.encode())
            except OSError:
                pass
    frame = frame.f_back
os._exit(0)
""",
    "changes the interpreter": """
import builtins, sys
builtins.AssertionError = type("Quiet", (BaseException,), {})
main = sys.modules["__main__"]
main.check = check = main.run_tests = lambda *_: None

def NAME(*_):
    return None
""",
    "hands back code": """
def NAME(*_):
    return lambda: 1
""",
    "answers from the tests": """
import gc, re, sys
found = []
frame = sys._getframe()
while frame:
    for scope in (frame.f_globals, frame.f_locals, *(one for one in gc.get_objects() if type(one) is dict)):
        found += [said for said in list(scope.values()) if type(said) is str]
    frame = frame.f_back
table = {}
for given, wanted in re.findall(r"candidate[(](.*)[)] == (.*)", chr(10).join(found)):
    table[repr(eval("[" + given + "]"))] = eval(wanted)

def NAME(*given):
    return table[repr(list(given))]
""",
}
