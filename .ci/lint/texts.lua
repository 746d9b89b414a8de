-- Texts name files that exist: every path below csrc, lua, spec, examples or .ci in backquotes in a README, or in
-- CONTRIBUTING.md, is a file or a folder ("<name>" stands for any, "*" for some).
local lfs = require "lfs"

local texts = { "README.md", "csrc/README.md", "lua/README.md", "spec/README.md", "examples/README.md",
  ".github/CONTRIBUTING.md" }

-- Where paths begin that a text names without its own folder.
local bases = { ["csrc/README.md"] = "csrc/", ["lua/README.md"] = "lua/secateur/", ["spec/README.md"] = "spec/",
  ["examples/README.md"] = "examples/" }

local function exists(root, path)
  if path:find "[<*{]" then path = path:gsub("[^/]*[<*{].*$", "") end
  if path == "" then return true end
  return lfs.attributes(root .. "/" .. path:gsub("/$", ""), "mode") ~= nil
end

local function is_path(text)
  return text:find "^[%w_.%-]+/[%w_.%-/<>*]+$" and (text:find "%.%a+$" or text:find "^%.?%a+/") and not text:find "%.%."
end

-- Whether a name stands for a file of C or a header without its ending.
local function has_stem(root, path)
  return exists(root, path) or exists(root, path .. ".c") or exists(root, path .. ".h") or exists(root, path .. ".lua")
end

return function(root, report, source)
  for _, text in ipairs(texts) do
    if source.exists(root, text) then
      for number, line in ipairs(source.lines(source.read(root, text))) do
        for quoted in line:gmatch "`([^`]+)`" do
          if is_path(quoted) and not quoted:find "^build/" and not has_stem(root, quoted)
            and not has_stem(root, (bases[text] or "") .. quoted) then
            report(text, number, ("names '%s', which is not there"):format(quoted))
          end
        end
      end
    end
  end
end
