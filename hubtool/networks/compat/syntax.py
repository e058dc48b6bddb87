"""What of tensors no name leads to: their methods and ``/``, changed in the syntax tree of code for MindSpore 1.x.

The user's own tensors stay as they are. Functions that the code compiles to a graph keep today's meaning, because
MindSpore reads their text.
"""

from __future__ import annotations

import ast
from typing import Final

#: The builtins that the changed code calls, in its namespace only.
DIVIDE: Final = "__hubtool_divide__"
METHOD: Final = "__hubtool_method__"


class OldTensors(ast.NodeTransformer):
    """Replaces divisions, and methods of some names, by calls that know what they were for tensors.

    Args:
        methods: The names of the methods.
    """

    def __init__(self, methods: frozenset[str]) -> None:
        self._methods = methods

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Replace ``a / b``; numbers that stand in the code are no tensors."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or (_is_number(node.left) and _is_number(node.right)):
            return node
        return _call(node, DIVIDE, node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """Replace ``a /= b`` where ``a`` is a variable of a function, which may be a tensor."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div) or not isinstance(node.target, ast.Name):
            return node
        before = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        in_place = ast.Constant(value=True)
        new = ast.Assign([node.target], _call(node, DIVIDE, before, node.value, in_place))
        return ast.fix_missing_locations(ast.copy_location(new, node))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace ``a.method`` where it is read."""
        self.generic_visit(node)
        if node.attr not in self._methods or not isinstance(node.ctx, ast.Load):
            return node
        return _call(node, METHOD, node.value, ast.Constant(node.attr))


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _call(node: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
    return ast.fix_missing_locations(ast.copy_location(call, node))
