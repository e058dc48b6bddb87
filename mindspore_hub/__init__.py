"""The names that scripts written for the public hub import: `import mindspore_hub as mshub`."""
