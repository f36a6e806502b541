package dev.partita.image.boot;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// What a `grub.cfg` offers (GNU GRUB Manual 2.12), read without running it: menu entries with
/// their `linux` and `initrd` lines, submenus, variables that are set, and the default entry.
/// Conditions are not followed: of several lines in one entry the first counts.
///
/// @param entries in the menu's order
/// @param places of the same entries, such as `1>0` for the first in a submenu that is the second
/// @param standard what `default` names; empty if nothing
record GrubConfiguration(List<LoaderEntry> entries, List<String> places, String standard) {
  private static final int MOST_ENTRIES = 1000;
  private static final int DEEPEST = 16;
  private static final String ENVIRONMENT = "# GRUB Environment Block\n";

  /// Reads an environment block, as grub-editenv(1) writes it: lines `name=value`, then `#`s.
  static Map<String, String> environment(String text) {
    Map<String, String> values = new HashMap<>();
    if (text.startsWith(ENVIRONMENT)) {
      for (String line : text.split("\n")) {
        int equals = line.indexOf('=');
        if (equals > 0 && !line.startsWith("#")) {
          values.put(line.substring(0, equals), line.substring(equals + 1));
        }
      }
    }
    return values;
  }

  /// A menu that is open.
  private static final class Level {
    private final boolean isMenu;
    private int entries;

    Level(boolean isMenu) {
      this.isMenu = isMenu;
    }
  }

  /// An entry that is being read.
  private static final class Draft {
    private final String id;
    private final String title;
    private final String place;
    private String kernel = "";
    private String options = "";
    private String volume = "";
    private final List<String> initrds = new ArrayList<>();

    Draft(String id, String title, String place) {
      this.id = id;
      this.title = title;
      this.place = place;
    }
  }

  /// Reads a configuration.
  ///
  /// @param environment the values of its environment block
  static GrubConfiguration parse(String text, Map<String, String> environment) {
    Map<String, String> variables = new HashMap<>(environment);
    List<LoaderEntry> entries = new ArrayList<>();
    List<String> places = new ArrayList<>();
    Deque<Level> levels = new ArrayDeque<>();
    Deque<String> menus = new ArrayDeque<>();
    levels.push(new Level(true));
    menus.push("");
    Draft draft = null;
    int draftDepth = 0;
    String standard = "";
    for (String line : text.replace("\\\n", " ").split("\n")) {
      List<String> words = words(line);
      if (words.isEmpty()) {
        continue;
      }
      boolean opens = words.getLast().equals("{");
      switch (words.getFirst()) {
        case "menuentry", "submenu" -> {
          if (!opens || levels.size() > DEEPEST || entries.size() >= MOST_ENTRIES) {
            continue;
          }
          Level menu = levels.stream().filter(level -> level.isMenu).findFirst().orElseThrow();
          String place = menus.getFirst() + menu.entries++;
          boolean isMenu = words.getFirst().equals("submenu");
          if (!isMenu) {
            draft = new Draft(id(words), words.size() > 1 ? words.get(1) : "", place);
            draftDepth = levels.size();
          } else {
            menus.push(place + ">");
          }
          levels.push(new Level(isMenu));
          continue;
        }
        case "}" -> {
          if (levels.size() > 1) {
            if (levels.pop().isMenu) {
              menus.pop();
            }
            if (draft != null && levels.size() <= draftDepth) {
              finish(draft).ifPresent(entries::add);
              if (entries.size() > places.size()) {
                places.add(draft.place);
              }
              draft = null;
            }
          }
          continue;
        }
        case "set" -> {
          int equals = words.size() > 1 ? words.get(1).indexOf('=') : -1;
          if (equals > 0) {
            String name = words.get(1).substring(0, equals);
            String value = LoaderEntry.substitute(words.get(1).substring(equals + 1), variables);
            if (name.equals("default")) {
              standard = value.isEmpty() ? standard : value;
            } else if (draft == null) {
              variables.put(name, value);
            }
          }
        }
        case "search" -> {
          if (draft != null
              && words.stream().anyMatch(w -> w.equals("--fs-uuid") || w.equals("-u"))) {
            draft.volume = words.getLast();
          }
        }
        case "linux", "linuxefi", "linux16" -> {
          if (draft != null && draft.kernel.isEmpty() && words.size() > 1) {
            draft.kernel = path(words.get(1), variables);
            draft.options =
                LoaderEntry.substitute(String.join(" ", words.subList(2, words.size())), variables)
                    .replaceAll("\\s+", " ")
                    .strip();
          }
        }
        case "initrd", "initrdefi", "initrd16" -> {
          if (draft != null && draft.initrds.isEmpty()) {
            for (String word : words.subList(1, words.size())) {
              String path = path(word, variables);
              if (!path.isEmpty()) {
                draft.initrds.add(path);
              }
            }
          }
        }
        default -> {}
      }
      // Functions and blocks of other kinds end with a brace as well.
      if (opens && levels.size() <= DEEPEST * 2) {
        levels.push(new Level(false));
      }
    }
    return new GrubConfiguration(List.copyOf(entries), List.copyOf(places), standard);
  }

  private static Optional<LoaderEntry> finish(Draft draft) {
    return draft.kernel.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new LoaderEntry(
                draft.id,
                draft.title,
                "",
                draft.kernel,
                List.copyOf(draft.initrds),
                draft.options,
                draft.volume));
  }

  /// The entries with the default one first; what it does not name stays in the menu's order.
  List<LoaderEntry> inOrder() {
    List<LoaderEntry> ordered = new ArrayList<>(entries);
    int found = indexOf(standard);
    if (found > 0) {
      ordered.addFirst(ordered.remove(found));
    }
    return ordered;
  }

  /// A default is a number, a title or an id; with `>` the way through submenus.
  private int indexOf(String name) {
    if (name.isEmpty()) {
      return 0;
    }
    String last = name.substring(name.lastIndexOf('>') + 1);
    for (int i = 0; i < entries.size(); i++) {
      LoaderEntry entry = entries.get(i);
      String place = places.get(i);
      if (place.equals(name)
          || place.startsWith(name + ">") // a submenu: its first entry
          || entry.id().equals(last)
          || entry.title().equals(last)) {
        return i;
      }
    }
    return 0;
  }

  /// The entry's id, behind `--id` or behind the variable that stands for it.
  private static String id(List<String> words) {
    for (int i = 1; i + 1 < words.size(); i++) {
      String word = words.get(i);
      if (word.equals("--id") || word.contains("menuentry_id_option")) {
        return words.get(i + 1);
      }
      if (word.startsWith("--id=")) {
        return word.substring(5);
      }
    }
    return "";
  }

  /// A path may have a device before it, as in `($root)/vmlinuz`, which the volume stands for.
  private static String path(String word, Map<String, String> variables) {
    return LoaderEntry.substitute(word, variables).replaceFirst("^\\([^)]*\\)", "");
  }

  /// A line's words, as GRUB's shell sees them: quotes hold words together, `\` takes a character
  /// as it is, `#` begins a comment.
  static List<String> words(String line) {
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    boolean any = false;
    char quote = 0;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (quote != 0) {
        if (c == quote) {
          quote = 0;
        } else if (c == '\\' && quote == '"' && i + 1 < line.length()) {
          word.append(line.charAt(++i));
        } else {
          word.append(c);
        }
      } else if (c == '\'' || c == '"') {
        quote = c;
        any = true;
      } else if (c == '\\' && i + 1 < line.length()) {
        word.append(line.charAt(++i));
        any = true;
      } else if (c == '#' && !any) {
        break;
      } else if (Character.isWhitespace(c) || c == ';') {
        if (any) {
          words.add(word.toString());
        }
        word.setLength(0);
        any = false;
      } else {
        word.append(c);
        any = true;
      }
    }
    if (any) {
      words.add(word.toString());
    }
    return words;
  }
}
