"""A run's details: a DataFrame if pandas is there, else a small table of the same manners."""

__path__ = []


def table(columns, rows):
    """A table of rows, which are lists of the columns' length."""
    try:
        import pandas
    except ImportError:
        return Table(columns, rows)
    return pandas.DataFrame(rows, columns=columns)


class Column(list):
    """The values of one column."""

    def tolist(self):
        """A list of them."""
        return list(self)

    to_list = tolist

    @property
    def values(self):
        """The values."""
        return list(self)

    @property
    def iloc(self):
        """The values by position."""
        return list(self)

    def head(self, n=5):
        """The first ones."""
        return Column(self[:n])

    def mean(self):
        """The mean of the numbers among them."""
        numbers = [value for value in self if isinstance(value, (int, float)) and value == value]
        return sum(numbers) / len(numbers) if numbers else float("nan")


class Table:
    """Rows and columns: as much of a DataFrame as it takes to look at a run."""

    def __init__(self, columns, rows):
        self.columns = list(columns)
        self._rows = [list(row) for row in rows]

    def __len__(self):
        return len(self._rows)

    def __iter__(self):
        return iter(self.columns)

    def __contains__(self, column):
        return column in self.columns

    def __getitem__(self, wanted):
        if isinstance(wanted, (list, tuple)):
            places = [self._place(column) for column in wanted]
            return Table(wanted, [[row[place] for place in places] for row in self._rows])
        if isinstance(wanted, slice):
            return Table(self.columns, self._rows[wanted])
        place = self._place(wanted)
        return Column(row[place] for row in self._rows)

    def _place(self, column):
        if column not in self.columns:
            raise KeyError(column)
        return self.columns.index(column)

    def get(self, column, default=None):
        """A column, or `default`."""
        return self[column] if column in self.columns else default

    @property
    def shape(self):
        """How many rows and columns."""
        return len(self._rows), len(self.columns)

    @property
    def empty(self):
        """Whether there is no row."""
        return not self._rows

    @property
    def index(self):
        """The rows' numbers."""
        return range(len(self._rows))

    @property
    def values(self):
        """The rows as lists."""
        return [list(row) for row in self._rows]

    @property
    def iloc(self):
        """The rows by position, as dicts."""
        return self.to_dict("records")

    def head(self, n=5):
        """The first rows."""
        return Table(self.columns, self._rows[:n])

    def tail(self, n=5):
        """The last rows."""
        return Table(self.columns, self._rows[-n:] if n else [])

    def iterrows(self):
        """Each row's number and the row as a dict."""
        return enumerate(self.to_dict("records"))

    def to_dict(self, orient="dict"):
        """`records`: a dict for each row; `list`: a list for each column; else a dict of dicts."""
        if orient == "records":
            return [dict(zip(self.columns, row)) for row in self._rows]
        if orient == "list":
            return {column: self[column].tolist() for column in self.columns}
        return {column: dict(enumerate(self[column])) for column in self.columns}

    def to_json(self, path=None, orient="records", lines=False, **_):
        """The rows as JSON; with `lines`, a line for each."""
        import json

        records = self.to_dict("records")
        text = "".join(json.dumps(row) + "\n" for row in records) if lines else json.dumps(records)
        if path is None:
            return text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return None

    def to_string(self, **_):
        """The table as text."""
        cells = [[str(column) for column in self.columns]] + [[str(value) for value in row] for row in self._rows]
        widths = [max(len(row[place]) for row in cells) for place in range(len(self.columns))]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells)

    def __repr__(self):
        return self.to_string()
