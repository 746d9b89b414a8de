local short_names = require "secateur.util.short_names"

describe("short names", function()
  it("are the last parts of paths, and folders where those repeat", function()
    assert.same({ "COVID/image(1).jpg", "NORMAL/image(1).jpg", "b.png" },
      short_names { "x/COVID/image(1).jpg", "x/NORMAL/image(1).jpg", "x/NORMAL/b.png" })
    assert.same({ "a/1/i.png", "b/1/i.png", "2/i.png" }, short_names { "/r/a/1/i.png", "/r/b/1/i.png", "/r/b/2/i.png" })
    assert.same({ "i.png", "a/i.png" }, short_names { "i.png", "a/i.png" })
    assert.same({ "a/i.png", "a/i.png" }, short_names { "a/i.png", "a/i.png" })
    assert.same({ "", "7" }, short_names { "", "7" })
    assert.same({}, short_names {})
  end)
end)
