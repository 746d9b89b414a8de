local child = require "support.child"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

describe("Ctrl-C", function()
  it("is not forgotten when it comes after native work has looked for it the last time", function()
    local folder = temporary.folder()
    -- Nearly all of the time goes by while the system brings the file to disk, when nothing looks.
    local output = child.run(([[
      local core = require "secateur.core"
      local safetensors = require "secateur.formats.safetensors"
      local process = io.open("/proc/self/stat"):read("n")
      os.execute("{ sleep 0.3; kill -INT " .. process .. "; } &")
      local start = core.clock()
      local ok, message = pcall(function()
        while core.clock() - start < 3 do safetensors.save(%q, { a = core.zeros(10) }) end
      end)
      print(ok, message, core.clock() - start)
    ]]):format(files.join(folder, "x")))
    files.remove(folder)
    local ok, message, seconds = output:match "^(%S+)\t([^\t]*)\t(%S+)"
    assert.equal("false", ok, output)
    assert.matches("interrupted!?$", message)
    assert.is_true(tonumber(seconds) < 1.3, output)
  end)
end)
