local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local needs = require "support.needs"
local picture_files = require "secateur.report.picture_files"
local temporary = require "support.temporary"

describe("gnuplot", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  it("quotes so that nothing is expanded or executed", function()
    assert.equal([["it\047s \042\140date\140\042 \134n\100x"]], gnuplot.quote("it's \"`date`\" \\n@x"))
    assert.equal([["a b \134xFF \134x1B ü \134u{202E}"]], gnuplot.quote("a\nb \255 \27 ü \u{202E}"))
  end)

  -- What stands as text in an SVG, as it is read by who knows XML.
  local function texts(svg)
    local list, names = {}, { lt = "<", gt = ">", amp = "&", quot = '"', apos = "'" }
    for text in svg:gmatch "<text>(.-)</text>" do
      assert.is_nil(text:find "[\1-\31]")
      assert.is_nil(text:find("]]>", 1, true))
      for name in text:gmatch "&([^;]*)" do assert.truthy(names[name]) end
      list[#list + 1] = (text:gsub("<[^>]*>", ""):gsub("&(%a+);", names))
    end
    return list
  end

  it("draws names with any apostrophes, and what would end a section of XML", function()
    needs.gnuplot(pending)
    local names = { "O'Brien", "'x", "a''b", "x'", "'", "''", "'''x'''", "]]>", "<![CDATA[x]]>", "a]]>]]>b", "\\",
      "x\\", "\\'", "''; system 'touch pwned'; '", "%d %s", "#", "a\27b" }
    local body = { "set xrange [0:1]\nset yrange [0:1]\n" }
    for i, name in ipairs(names) do
      body[i + 1] = ("set label %d %s at 0.1,%g\n"):format(i, gnuplot.quote(name), i / 20)
    end
    body[#body + 1] = "set format ''\nplot NaN notitle\n"
    assert(gnuplot.draw { folder = folder, name = "names", width = 300, height = 200, body = table.concat(body) })
    names[#names] = "a\\x1Bb"
    local drawn = {}
    for _, text in ipairs(texts(files.read_all(files.join(folder, "names.svg")))) do
      if text ~= "" then drawn[#drawn + 1] = text end
    end
    assert.same(names, drawn)
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
    assert.matches("^gnuplot could not draw .*/bad: .*nonsense", message)
    assert.same({}, files.list(folder, { hidden = true }))
  end)

  local figure_body = "plot [0:1] x title 'a line', x**2\n"

  -- A program that runs gnuplot between other commands, its arguments being "$@".
  local function program(text)
    local path = temporary.write(folder, "program", "#!/bin/sh\n" .. text)
    assert(os.execute(("chmod +x '%s'"):format(path)))
    return path
  end

  local function draw(text)
    local target = files.join(folder, "out")
    local old = temporary.write(target, "one.svg", "old")
    local good, message = gnuplot.draw { folder = target, name = "one", width = 300, height = 200, body = figure_body,
      program = text and program(text) }
    if not good then
      assert.same({ "one.svg" }, files.list(target, { hidden = true }))
      assert.equal("old", files.read_all(old))
    end
    return good, message
  end

  it("sees which picture is not whole, and leaves everything as it was", function()
    needs.gnuplot(pending)
    for text, expected in pairs {
      [":"] = "/out/one%.svg: gnuplot wrote nothing and reported no error; is the disk full%?$",
      ['gnuplot "$@"; rm .one.1.part/one.png'] = "/out/one%.png: gnuplot wrote nothing and reported no error",
      ['gnuplot "$@"; : > .one.1.part/one.png'] = "/out/one%.png: gnuplot wrote only a part of it and reported",
      ['gnuplot "$@"; cd .one.1.part; head -c 2000 one.png > x; mv x one.png'] = "/out/one%.png: .*a part of it",
      ['gnuplot "$@"; cd .one.1.part; (head -c 999 one.png; tail -c +1100 one.png) > x; mv x one.png'] =
        "/out/one%.png: .*a part of it",
      ['gnuplot "$@"; cd .one.1.part; head -c 900 one.svg > x; mv x one.svg'] = "/out/one%.svg: .*a part of it",
      ['gnuplot "$@"; cd .one.1.part; sed "s/<text>//" one.svg > x; mv x one.svg'] = "/out/one%.svg: .*a part of it",
    } do
      local good, message = draw(text)
      assert.is_nil(good)
      assert.matches(expected, message)
    end
  end)

  it("says so where files may not grow as large", function()
    needs.gnuplot(pending)
    local good, message = draw('ulimit -f 1\ngnuplot "$@"')
    assert.is_nil(good)
    assert.matches("out/one", message)
  end)

  it("draws text with spaces at its beginning and in a row", function()
    needs.gnuplot(pending)
    for i, name in ipairs { " a", "a  b", "a ", " " } do
      assert(gnuplot.draw { folder = folder, name = "spaces" .. i, width = 300, height = 200,
        body = ("set title %s\n%s"):format(gnuplot.quote(name), figure_body) })
    end
  end)

  it("says how gnuplot ended where it said nothing, and not all that it said", function()
    local _, message = draw "exit 3"
    assert.matches("could not draw .*/one: it said nothing, and ended with status 3$", message)
    _, message = draw "echo; echo ' no  more '; exit 1"
    assert.matches("could not draw .*/one: no more$", message)
    _, message = draw "head -c 100000 /dev/zero | tr '\\0' x; exit 1"
    assert.matches("could not draw .*/one: x+…$", message)
    assert.truthy(#message < 3000)
  end)

  it("removes what a killed run left, and nothing else", function()
    needs.gnuplot(pending)
    local target = files.join(folder, "out")
    temporary.write(target, ".one.1.part/lock", "")
    temporary.write(target, ".one.1.part/one.svg", "half")
    temporary.write(target, ".one.7.part/lock", "")
    temporary.write(target, ".two.1.part/lock", "")
    temporary.write(target, ".one.1x.part/lock", "")
    temporary.write(target, ".one.9.part", "a file")
    assert.is_true((draw()))
    assert.same({ ".one.1x.part", ".one.9.part", ".two.1.part", "one.gp", "one.png", "one.svg" },
      files.list(target, { hidden = true }))
  end)

  it("tells pictures from halves of them", function()
    needs.gnuplot(pending)
    assert(gnuplot.draw { folder = folder, name = "p", body = figure_body,
      terminals = gnuplot.print_terminals(600, 400, 2, 7) })
    for _, extension in ipairs { "svg", "png", "pdf" } do
      local bytes = files.read_all(files.join(folder, "p." .. extension))
      assert.is_true(picture_files.is_complete(extension, bytes))
      for _, length in ipairs { 0, 1, 7, 40, #bytes // 2, #bytes - 8, #bytes - 3 } do
        assert.is_false(picture_files.is_complete(extension, bytes:sub(1, length)))
      end
    end
  end)

  it("says what to install", function()
    assert.same({ n = 2, nil, "'no such gnuplot' not found: figures are drawn with gnuplot 5; install gnuplot-nox "
      .. "(Debian) or gnuplot" }, table.pack(gnuplot.check("no such gnuplot")))
  end)

  it("is not called missing where it could not be looked for", function()
    local execute = os.execute
    finally(function() os.execute = execute end) -- luacheck: ignore 122
    for _, case in ipairs { { { nil, "exit", 2 }, "the shell ended with exit 2" }, -- no descriptor for /dev/null
      { { nil, "signal", 9 }, "the shell ended with signal 9" },
      { { nil, "Resource temporarily unavailable", 11 }, "Resource temporarily unavailable" } } do
      os.execute = function() return table.unpack(case[1], 1, 3) end -- luacheck: ignore 122
      assert.equal("'gnuplot' could not be looked for: " .. case[2], select(2, gnuplot.check("gnuplot")))
    end
  end)
end)
