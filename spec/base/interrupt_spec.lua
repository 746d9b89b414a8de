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
    -- signal stays so: the loop then goes on until the fence.
    local path = files.join(folder, "x")
    interrupt.check { setup = ([[
      local safetensors = require "secateur.formats.safetensors"
      local zeros = core.zeros(10)
      local function save()
        while true do safetensors.save(%q, { a = zeros }) end
      end
    ]]):format(path), call = "save", message = "interrupted!?$", begun = function() return files.is_file(path) end }
  end)
end)
