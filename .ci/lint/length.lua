-- A file has one subject and at most 600 lines.
local most = 600

return function(root, report, source)
  local extensions = { c = true, cc = true, h = true, def = true, lua = true, sh = true, py = true, md = true }
  for _, dir in ipairs { "csrc", "lua", "examples", "spec", ".ci" } do
    for _, path in ipairs(source.list(root, dir, extensions)) do
      local count = #source.lines(source.read(root, path))
      if count > most then report(path, most + 1, ("has %d lines, more than %d"):format(count, most)) end
    end
  end
end
