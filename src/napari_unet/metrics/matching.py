"""Matching of predicted to true objects by intersection over union (IoU)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unet.errors import SettingsError
from napari_unet.metrics.labels import check_labels
from napari_unet.metrics.pairs import Pair, pair_image
from napari_unet.renumbering import renumber

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class InstanceMatch:
    """Which predicted object is which true one.

    Attributes
    ----------
    threshold : float
        The IoU that a pair had to reach.
    prediction, truth : ndarray of int, shape (n_pairs,)
        Labels of the matched objects, pair by pair, in ascending order of the truth.
    iou : ndarray of float64, shape (n_pairs,)
        Intersection over union of each pair.
    area_ratio : ndarray of float64, shape (n_pairs,)
        Pixels of the predicted object over those of the true one, of each pair.
    unmatched_prediction, unmatched_truth : ndarray of int
        Labels of the false positives and of the false negatives, ascending.
    """

    threshold: float
    prediction: NDArray[Any]
    truth: NDArray[Any]
    iou: NDArray[np.float64]
    area_ratio: NDArray[np.float64]
    unmatched_prediction: NDArray[Any]
    unmatched_truth: NDArray[Any]

    @property
    def tp(self) -> int:
        """True positives: the number of pairs."""
        return self.iou.size

    @property
    def fp(self) -> int:
        """False positives: predicted objects without a partner."""
        return self.unmatched_prediction.size

    @property
    def fn(self) -> int:
        """False negatives: true objects without a partner."""
        return self.unmatched_truth.size


def match_instances(
    prediction: ArrayLike, truth: ArrayLike, iou: float = 0.5, *, ignore: ArrayLike | None = None
) -> InstanceMatch:
    """Match predicted to true objects, one to one.

    A pair qualifies where its IoU is at least `iou`. Above 0.5 no object can qualify
    twice. At 0.5 and below it can, and the assignment with the most pairs is taken, and
    among those the one with the largest sum of IoU.

    Parameters
    ----------
    prediction, truth : array of int
        Instance labels, same shape, any number of axes; 0 is background. Labels may be
        of any size and need not be consecutive.
    iou : float
        Threshold, above 0 and at most 1; inclusive.
    ignore : array of bool, optional
        True where pixels do not count, the shape of the truth. These pixels become 0 in
        both arrays, and an object with more than half of its pixels there is left out: it
        is in no pair and in neither list of unmatched objects.

    Returns
    -------
    InstanceMatch

    Raises
    ------
    InputError
        For unequal shapes, an empty array, labels that are boolean, not whole numbers or
        negative, or an `ignore` that is no boolean mask of the same shape.
    SettingsError
        For an `iou` outside (0, 1].

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research
    Logistics Quarterly 2, 1955.

    Examples
    --------
    >>> import numpy as np
    >>> match = match_instances(np.array([7, 7, 0, 9]), np.array([1, 1, 1, 0]))
    >>> match.truth, match.prediction, match.iou.round(2), match.unmatched_prediction
    (array([1]), array([7]), array([0.67]), array([9]))
    """
    return ObjectOverlap.of(pair_image(prediction, truth, ignore)).match(iou)


@dataclass(frozen=True, eq=False)
class ObjectOverlap:
    """Every overlapping pair of a true and a predicted object, with its IoU.

    Attributes
    ----------
    true_labels, predicted_labels : ndarray of int, shape (n,), (m,)
        The labels of the objects that count, ascending.
    true, predicted : ndarray of int64, shape (n_overlaps,)
        Positions in `true_labels` and `predicted_labels` of each overlapping pair.
    iou : ndarray of float64, shape (n_overlaps,)
        Intersection over union of each overlapping pair, above 0.
    shared : ndarray of int64, shape (n_overlaps,)
        Pixels that both objects of each overlapping pair have.
    true_sizes, predicted_sizes : ndarray of int64, shape (n,), (m,)
        Pixels of each object.
    """

    true_labels: NDArray[Any]
    predicted_labels: NDArray[Any]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    iou: NDArray[np.float64]
    shared: NDArray[np.int64]
    true_sizes: NDArray[np.int64]
    predicted_sizes: NDArray[np.int64]

    @property
    def area_ratio(self) -> NDArray[np.float64]:
        """Pixels of the predicted over those of the true object of each overlapping pair."""
        return self.predicted_sizes[self.predicted] / self.true_sizes[self.true]

    @classmethod
    def of(cls, pair: Pair) -> ObjectOverlap:
        """Tabulate the overlaps in one pass over the pixels.

        Raises InputError for arrays that are no instance labels.
        """
        # what is left out may be marked by a negative label
        predicted, true = pair.counted()
        check_labels(predicted, f"prediction of {pair.name}", mask_allowed=False)
        check_labels(true, f"truth of {pair.name}", mask_allowed=False)
        predicted_labels, predicted = _rank_objects(pair.prediction, pair.ignored)
        true_labels, true = _rank_objects(pair.truth, pair.ignored)

        # Rank 0 is background: its row and column are not wanted, and keeping them out
        # makes the sparse table as small as the objects, not as the image.
        predicted_sizes = np.bincount(predicted, minlength=predicted_labels.size + 1)[1:]
        true_sizes = np.bincount(true, minlength=true_labels.size + 1)[1:]
        overlapping = (predicted > 0) & (true > 0)
        rows, columns = true[overlapping] - 1, predicted[overlapping] - 1
        table = (
            coo_array(
                (np.ones(rows.size, np.int64), (rows, columns)),
                shape=(true_labels.size, predicted_labels.size),
            )
            .tocsr()
            .tocoo()
        )
        rows, columns = table.row.astype(np.int64), table.col.astype(np.int64)
        union = true_sizes[rows] + predicted_sizes[columns] - table.data
        return cls(
            true_labels,
            predicted_labels,
            rows,
            columns,
            table.data / union,
            table.data.astype(np.int64),
            true_sizes,
            predicted_sizes,
        )

    def match(self, threshold: float) -> InstanceMatch:
        """Match the objects at an IoU `threshold` in (0, 1], see `match_instances`."""
        if not 0 < threshold <= 1:
            raise SettingsError(
                f"The IoU threshold is {threshold}, but must be above 0 and at most 1",
                "0.5 is the usual choice",
            )
        candidate = self.iou >= threshold
        true, predicted, iou = self.true[candidate], self.predicted[candidate], self.iou[candidate]
        chosen = _assign(true, predicted, iou)
        true, predicted, iou = true[chosen], predicted[chosen], iou[chosen]
        area_ratio = self.area_ratio[candidate][chosen]
        return InstanceMatch(
            threshold=threshold,
            prediction=self.predicted_labels[predicted],
            truth=self.true_labels[true],
            iou=iou,
            area_ratio=area_ratio,
            unmatched_prediction=np.delete(self.predicted_labels, predicted),
            unmatched_truth=np.delete(self.true_labels, true),
        )


def _rank_objects(
    labels: NDArray[Any], ignored: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the labels of the objects that count, and 1 + their position per pixel, flat."""
    if ignored is not None and labels.dtype.kind == "i":
        labels = np.where(ignored & (labels < 0), 0, labels)
    values, rank = renumber(labels.ravel())
    if values.size and values[0] == 0:
        values = values[1:]
    else:
        rank += 1
    if ignored is None:
        return values, rank
    hidden = ignored.ravel()
    sizes = np.bincount(rank, minlength=values.size + 1)
    hidden_sizes = np.bincount(rank[hidden], minlength=values.size + 1)
    kept = 2 * hidden_sizes <= sizes
    kept[0] = False
    new_rank = np.where(kept, np.cumsum(kept), 0)
    return values[kept[1:]], np.where(hidden, 0, new_rank[rank])


def _assign(
    true: NDArray[np.int64], predicted: NDArray[np.int64], iou: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Choose candidates, each object at most once: most pairs first, then most IoU."""
    contested = (np.bincount(true)[true] > 1) | (np.bincount(predicted)[predicted] > 1)
    chosen = [np.flatnonzero(~contested)]
    rest = np.flatnonzero(contested)
    # Contested candidates fall into small groups that share no object; each is solved
    # alone, so that the cost does not grow with the square of all objects.
    for group in _groups(true[rest], predicted[rest]):
        members = rest[group]
        rows, row = np.unique(true[members], return_inverse=True)
        columns, column = np.unique(predicted[members], return_inverse=True)
        # One more pair (1) outweighs all the IoU that could be gained (below 1 in sum).
        gain = np.zeros((rows.size, columns.size))
        gain[row, column] = 1 + iou[members] / (min(gain.shape) + 1)
        position = np.full(gain.shape, -1)
        position[row, column] = members
        picked = position[linear_sum_assignment(gain, maximize=True)]
        chosen.append(picked[picked >= 0])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _groups(true: NDArray[np.int64], predicted: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split candidates into groups that share no object; return positions per group."""
    if true.size == 0:
        return []
    offset = int(true.max()) + 1
    n_nodes = offset + int(predicted.max()) + 1
    graph = coo_array((np.ones(true.size), (true, predicted + offset)), shape=(n_nodes, n_nodes))
    _, component = connected_components(graph, directed=False)
    order = np.argsort(component[true], kind="stable")
    _, starts = np.unique(component[true][order], return_index=True)
    return list(np.split(order, starts[1:]))
