local files = require "secateur.util.files"
local interrupt = require "support.interrupt"
local needs = require "support.needs"
local temporary = require "support.temporary"

describe("Ctrl-C", function()
  it("is not forgotten when it comes after native work has looked for it the last time", function()
    needs.proc(pending)
    local folder = temporary.folder()
    finally(function() files.remove(folder) end)
    -- Nearly all of the time goes by while the system brings the file to disk, when nothing looks. Once forgotten, a
    -- signal stays so: the loop then reaches its end, a thousand files later.
    local path = files.join(folder, "x")
    interrupt.check { setup = ([[
      local safetensors = require "secateur.formats.safetensors"
      local zeros = core.zeros(10)
      local function save()
        local start, count = core.clock(), 0
        while core.clock() - start < 10 or count < 1000 do
          safetensors.save(%q, { a = zeros })
          count = count + 1
        end
      end
    ]]):format(path), call = "save", message = "interrupted!?$", begun = function() return files.is_file(path) end }
  end)
end)
