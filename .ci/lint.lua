-- lint.lua [root]: runs every check of .ci/lint over the tree. A check is a function(root, report, source), where
-- report(file, line, message) notes what is wrong. Prints "file:line: message" for each, and fails when there is any.
local source = dofile ".ci/source.lua"
local root = arg[1] or "."
local count = 0

local function report(file, line, message)
  count = count + 1
  print(("%s:%d: %s"):format(file, line, message))
end

for _, path in ipairs(source.list(".", ".ci/lint", { lua = true })) do dofile(path)(root, report, source) end
os.exit(count == 0)
