local files = require "secateur.util.files"
local lfs = require "lfs"

describe("util.version", function()
  it("is that of the rockspec", function()
    local found
    for name in lfs.dir "." do found = name:match "^secateur%-(.*)%.rockspec$" or found end
    assert.equal(found, require "secateur.util.version")
    local rock = {}
    assert(load(assert(files.read_all(("secateur-%s.rockspec"):format(found))), "rockspec", "t", rock))()
    assert.equal(rock.version, require "secateur.util.version")
  end)
end)
