"""What of tensors no name leads to: their methods and operators, changed in the syntax tree of code for MindSpore 1.x.

The user's own tensors stay as they are. Functions that the code compiles to a graph keep today's meaning, because
MindSpore reads their text.
"""

from __future__ import annotations

import ast
from typing import Final

#: The builtins that the changed code calls, in its namespace only.
OPERATE: Final = "__hubtool_operate__"
METHOD: Final = "__hubtool_method__"

#: The operators whose meaning for tensors changed.
_OPERATORS: Final = {ast.Div: "/", ast.Mult: "*", ast.Mod: "%", ast.Pow: "**"}


class OldTensors(ast.NodeTransformer):
    """Replaces operators, and methods of some names, by calls that know what they were for tensors.

    Args:
        methods: The names of the methods.
    """

    def __init__(self, methods: frozenset[str]) -> None:
        self._methods = methods

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Replace ``a / b``, ``a * b``, ``a % b`` and ``a ** b``; what stands in the code itself is no tensor."""
        self.generic_visit(node)
        sign = _OPERATORS.get(type(node.op))
        if sign is None or _is_text(node.left) or (_is_constant(node.left) and _is_constant(node.right)):
            return node
        return _call(node, OPERATE, ast.Constant(sign), node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """Replace ``a /= b`` and its like where ``a`` is a variable, which may be a tensor."""
        self.generic_visit(node)
        sign = _OPERATORS.get(type(node.op))
        if sign is None or not isinstance(node.target, ast.Name):
            return node
        before = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        in_place = ast.Constant(value=True)
        new = ast.Assign([node.target], _call(node, OPERATE, ast.Constant(sign), before, node.value, in_place))
        return ast.fix_missing_locations(ast.copy_location(new, node))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace ``a.method`` where it is read."""
        self.generic_visit(node)
        if node.attr not in self._methods or not isinstance(node.ctx, ast.Load):
            return node
        return _call(node, METHOD, node.value, ast.Constant(node.attr))


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))


def _call(node: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
    return ast.fix_missing_locations(ast.copy_location(call, node))
