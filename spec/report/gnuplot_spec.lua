local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local needs = require "support.needs"
local temporary = require "support.temporary"

describe("gnuplot", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("quotes so that nothing is expanded or executed", function()
    assert.equal("'it''s \"`date`\" \\n@x'", gnuplot.quote("it's \"`date`\" \\n@x"))
    assert.equal("'a b ? ü'", gnuplot.quote("a\nb \255 ü"))
  end)

  it("makes safe, different file names", function()
    local taken = {}
    assert.equal("accuracy-my_set-vgg", gnuplot.slug("accuracy-my set-vgg", taken))
    assert.equal("accuracy-my_set-vgg-2", gnuplot.slug("accuracy-my/set-vgg", taken))
    assert.equal("Accuracy-my_set-VGG-3", gnuplot.slug("Accuracy-my_set-VGG", taken))
    assert.equal("etc_passwd", gnuplot.slug("../../etc/passwd", taken))
    assert.equal("figure", gnuplot.slug("日本", taken))
    assert.equal("figure-2", gnuplot.slug("", taken))
    assert.is_nil(gnuplot.slug("-rf / | `x` $(y) 'z'", taken):find("[^%w._-]"))
  end)

  it("draws as SVG and PNG from a script that can be run again", function()
    needs.gnuplot(pending)
    local odd = files.join(folder, "it's `a` $(folder)")
    assert(files.mkdir_p(odd))
    local title = "A <b> & \"c\" it's `touch pwned` $(touch pwned) @x {/Bold y} ünï \\"
    local figure = { folder = odd, name = "one", width = 300, height = 200, data = { d = { "0 1", "1 2" } },
      body = ("set title %s\nplot $d using 1:2 with lines title %s\n"):format(gnuplot.quote(title),
        gnuplot.quote(title)) }
    assert(gnuplot.draw(figure))
    local svg = files.read_all(files.join(odd, "one.svg"))
    assert.truthy(svg:find("A &lt;b> &amp; \"c\" it's `touch pwned` $(touch pwned) @x {/Bold y} ünï \\", 1, true))
    local png = files.read_all(files.join(odd, "one.png"))
    assert.equal("\137PNG\r\n\26\n", png:sub(1, 8))
    assert.equal(string.pack(">I4I4", 600, 400), png:sub(17, 24))
    assert.same({ "one.gp", "one.png", "one.svg" }, files.list(odd))
    assert.same({ "it's `a` $(folder)" }, files.list(folder))
  end)

  it("passes on what gnuplot says", function()
    needs.gnuplot(pending)
    local good, message = gnuplot.draw { folder = folder, name = "bad", width = 300, height = 200,
      body = "plot nonsense(\n" }
    assert.is_nil(good)
    assert.matches("^gnuplot could not draw .*/bad%.gp: .*nonsense", message)
  end)

  it("says what to install", function()
    assert.same({ n = 2, nil, "'no such gnuplot' not found: figures are drawn with gnuplot 5; install gnuplot-nox "
      .. "(Debian) or gnuplot" }, table.pack(gnuplot.check("no such gnuplot")))
  end)
end)
